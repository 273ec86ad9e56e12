"""How the model learns: transcripts in, a LoRA adapter with its label rows out."""
