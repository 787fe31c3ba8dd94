"""What several tests share: places, played parts, judges and pictures."""
