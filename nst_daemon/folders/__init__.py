"""The user's folders: inboxes, what belongs to a photo, styles, results, originals, and their disks."""
