"""What the stages share, in the order in which data flows.

arithmetic   the environment that makes the bytes of a result portable; the device
memory       what is freed is kept for the next tensor
errors       the error a user can mend
launch       start of every stage: settings, arithmetic, declared files, exit status
settings     the sections of params.yaml as checked, frozen objects
params       reading params.yaml as DVC does, naming file and line of a mistake, editing it
files        atomic writing, checked reading
graph        the files that dvc.yaml lets a stage read and write
inputs       what a stage is made from: did it change, its fingerprint
outputs      the outputs of a run, put in place together
resume       what a killed run leaves for the next one
progress     one line on a terminal that says how far long work is
names        names of columns and classes, and numbers, in a message
dates        dates as days since 1970
cells        the cells of one column: numbers, truth values, dates, texts
text         the text of a file: its encoding, the line of what is no text
ahead        an iterator whose next item is made while the last one is used
spool        the columns of a table on disk, one column or chunk of rows at a time
dialect      how a CSV file is written
table        a CSV file as chunks of cells; slices resolved to column names
streams      named, independent random streams
split        rows dealt to train, val and test
dealing      which rule of the split deals the rows, and on which column
schema       what encodes a row: column statistics and classes of the training rows
targets      the task, and the classes or the mean of the target
fitting      the schema fitted to the training rows
encoding     rows of cells encoded as numbers with a schema
tensorfile   a file of tensors that is filled a few rows at a time
partition    the encoded rows of one part, on disk and in memory
dataset      a table from CSV file to encoded parts
evidence     what the audit looks at, and a finding
leaks        features that copy the target or give it away, groups across parts
audit        what makes figures dishonest: leaks, ids, constants, classes, drift
duplicates   rows that repeat others
inspection   the audit of one table, and when it stops the stage
description  a CSV file in words, for a person who brings one
products     matrix products of a stack, member by member
activations  the activations of hidden layers, and the way back through them
network      a stack of K multilayer perceptrons of one shape
initialize   starting weights of a stack
checkpoint   a stack with everything needed to use it, in one file
recipe       how each member of a stack is trained
batches      the order of rows, the noise and the mixing of a training step
optimizer    SGD and AdamW with one setting per member
objective    loss and score per row, by task; the gradient of the loss
measurement  loss and score of a stack on one part
record       what is measured of one member after one epoch
training     the loop that trains a stack
curves       what was measured per epoch, as tables for plots
health       saturated and dead units, gradient norms, activation spread
advice       what went wrong in a training, and the settings that help
ensemble     the members of the base model, and their figures in words
linear       the linear model beside the base model, as good as it can be
parity       the engine against plain PyTorch, on one batch
gate         overfit one batch, or say why it cannot be done
tally        figures of predictions that come in batches
evaluation   figures of a finished stack on one part, with intervals
thresholds   ROC and precision-recall curves of a classifier
diagnostics  tables for plots of a finished stack's answers
answering    answers for the rows of a new table, a chunk at a time
intervals    95 % intervals
arms         ways to learn a second table: freeze depths, from-scratch controls
transfer     all arms trained in one stack, and what transfer gained
space        the search space and the points drawn from it
halving      which trials of a search go on, and how far
workers      processes that work side by side
cluster      the processes of a Ray cluster
trials       a trial of a search, the order of trials, what they share
grouping     trials in groups that train as one stack each
race         the trials trained rung by rung
proposals    points that a model of the trials so far proposes
finalists    the best trials once more, each from several starting weights
ranking      the trials compared: the order, the table, the figures
sensitivity  what each setting of a search does, and how much it matters
adoption     the best trial's settings written into params.yaml
"""
