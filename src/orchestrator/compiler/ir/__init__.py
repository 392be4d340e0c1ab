"""The intermediate representation of the files of a compilation, which passes, kinds of steps and rules share."""
