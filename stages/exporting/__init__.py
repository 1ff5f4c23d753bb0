"""What `stages.export` is made of: a trained model as files that need nothing of tabline.

load       the model with its preprocessing in plain PyTorch; lies beside the exported files
programs   the model as a program for torch.export and for ONNX Runtime
folder     the exported files put in place together
"""
