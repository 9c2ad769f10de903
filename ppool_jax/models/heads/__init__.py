"""From features to class scores; may import the shared parts of `ppool_jax.models`."""
