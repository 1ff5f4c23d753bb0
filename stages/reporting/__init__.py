"""What a report of a run is made of.

plots     the plots of dvc.yaml, each with its question and its words
drawing   a plot drawn as SVG, with the templates that DVC fills
"""
