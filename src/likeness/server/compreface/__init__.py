"""What CompreFace's clients expect: its answers, its errors, and its face collection on our gallery."""
