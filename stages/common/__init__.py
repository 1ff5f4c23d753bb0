"""What the stages share, in the order in which data flows.

arithmetic   the environment that makes the bytes of a result portable; the device
errors       the error a user can mend
launch       start of every stage: settings, arithmetic, declared files, exit status
settings     the sections of params.yaml as checked, frozen objects
params       reading params.yaml as DVC does, naming file and line of a mistake, editing it
files        atomic writing, checked reading
graph        the files that dvc.yaml lets a stage read and write
inputs       what a stage is made from: did it change, its fingerprint
outputs      the outputs of a run, put in place together
resume       what a killed run leaves for the next one
table        a CSV file as text columns; slices resolved to column names
streams      named, independent random streams
split        rows dealt to train, val and test
cells        text cells read as numbers
schema       column statistics and classes of the training rows
encoding     rows of text cells encoded as tensors with a schema
partition    the encoded rows of one part, on disk and in memory
dataset      a table from CSV file to encoded parts
network      a stack of K multilayer perceptrons of one shape
initialize   starting weights of a stack
checkpoint   a stack with everything needed to use it, in one file
recipe       how each member of a stack is trained
batches      the order of rows, the noise and the mixing of a training step
optimizer    SGD and AdamW with one setting per member
objective    loss and score per row, by task
training     the loop that trains a stack
curves       what was measured per epoch, as tables for plots
health       saturated and dead units, gradient norms, activation spread
ensemble     the members of the base model, and their figures in words
parity       the engine against plain PyTorch, on one batch
gate         overfit one batch, or say why it cannot be done
evaluation   figures of a finished stack on one part, with intervals
intervals    95 % intervals
arms         ways to learn a second table: freeze depths, from-scratch controls
transfer     all arms trained in one stack, and what transfer gained
space        the search space and the points drawn from it
trials       the trials of a search, trained in stacks of one shape
ranking      the trials compared: the winner, the table, the effect of each setting
adoption     the best trial's settings written into params.yaml
"""
