import sqlite3

connection = sqlite3.connect("runs.db", isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
