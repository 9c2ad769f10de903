"""What several tests share: reference implementations, small data sets, tiny configs."""
