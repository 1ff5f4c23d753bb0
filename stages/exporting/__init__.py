"""What `stages.export` is made of: a trained model as files that need nothing of tabline.

load       the model with its preprocessing in plain PyTorch; lies beside the exported files
portable   the bytes of each exported file
folder     the exported files put in place together
"""
