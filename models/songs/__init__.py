"""Songs as people have them: which files of a folder, what their stems are called, which are done already.

In: files and folders, a template of names, a separator. Out: stem files, all of a song or none, and a record of each.
"""
