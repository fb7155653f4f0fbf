"""Write a trained model as other programs read it; parity is checked before a file is kept."""
