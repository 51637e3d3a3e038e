"""The admin listener: what the operator and the command line may ask of the running daemon."""
