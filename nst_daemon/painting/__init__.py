"""The right half: a job becomes a picture in the outbox, and its original goes where it belongs."""
