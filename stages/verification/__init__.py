"""What `stages.verify` is made of: the committed dvc.lock against a rebuild and this folder.

repository   the project's Git repository: committed files, a clone, earlier versions
lock         dvc.lock: reading the committed one, mending one that was cut off
sums         the md5 of files and folders as DVC records it
place        what dvc.lock records, and how it lies in one folder
rebuild      the pipeline run by DVC in another folder
difference   where two versions of a file first differ
tolerance    how far figures may move where the bytes are not promised
comparison   the record against Git, a rebuilt clone and this folder
findings     what a comparison has found, as a table
"""
