"""The networks below the segmentation heads, with slots for their pools; may import layers and ops."""
