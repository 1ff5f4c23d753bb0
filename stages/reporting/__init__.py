"""What a report of a run is made of.

plots     the plots of dvc.yaml, each with its question and its words
layout    a filled template laid out for a page
drawing   a plot drawn as SVG, with the templates that DVC fills
"""
