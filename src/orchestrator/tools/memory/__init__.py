"""The memory of a project: values that steps and agents keep from one run to another, by namespace and key."""
