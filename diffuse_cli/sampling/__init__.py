"""The old address of `diffuse_cli.samplers`, kept for one release for samplers that users wrote against it."""
