"""What `stages.report` is made of: tracked files become sections, sections a page or a card.

tracked      the tracked files of this folder, or of a revision in Git
columns      the rows of a CSV file in metrics/, and what shows that it is damaged
section      sentences, tables and plots under one heading
spread       differences with their intervals: larger than chance or not
models       the two models and their tables, by their names
alarms       what is said before any figure: training that failed, rows that leak
verdicts     a model against its baselines, in words
headline     is it good: the figures beside their baselines
course       how training went, in words
remedies     does it learn, does it overfit: causes, measured, with their remedies
failures     where it fails: classes, confusions, the wrong rows
gain         did fine-tuning help
proposal     what a search proposes, what to do with it
tuning       what the search found, which setting mattered most
origin       the data: rows, columns, what the audit found
layers       the network: its layers, shapes and parameters
provenance   the commit, the lock, the commands that lead here again
likeness     have two states the same tables and test rows
changes      the figures of two states: what has changed, is it more than chance
comparison   this folder against a revision: figures, settings
plots        the plots of dvc.yaml, each with its question and its words
layout       a filled template laid out for a page
drawing      a plot drawn as SVG, with the templates that DVC fills
figures      every plot drawn for a wide and a narrow page
remarks      how many of the classes a plot shows
page         sections and plots as one HTML file
card         sections as the model card, in Markdown
"""
