"""SOFIM: momentum steps whose length is set by a rank-one Fisher matrix."""
