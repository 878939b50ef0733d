"""What runs inside SageMaker's containers: a training job, and the functions by which its toolkit serves a model.

Packed by `platforms/aws/packaging.py` with what it imports; nothing here may import an adapter, boto3 or Temporal.
"""
