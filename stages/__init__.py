"""The stages: one thin script per stage of dvc.yaml, run as `python -m stages.NAME`.

What the stages share lives in `stages.common`. Importing this package only sets
environment variables: the arithmetic has to be chosen before torch is imported.
"""

from stages.common import arithmetic

arithmetic.prepare()
