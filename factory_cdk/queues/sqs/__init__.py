"""Queues in SQS, with a DynamoDB table for what became of the jobs and a bucket for what is too large for a message."""
