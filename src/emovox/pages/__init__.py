"""What every figure and HTML page shares: their style, their players, their templates."""
