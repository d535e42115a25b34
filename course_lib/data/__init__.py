"""Images and masks: the prepared format, phantoms, splits and transforms.

- ``prepared``: the on-disk format of every data set (write, open, verify).
- ``splits``: which case is trained on, validated on, tested on; groups are never torn apart.
- ``images``: one image or mask file in, one checked array out.
- ``resize``: how images and masks change their size.
- ``phantoms``: generated images whose difficulty is known.
- ``volumes``: NIfTI files in, arrays of volumes out.
- ``transforms``: augmentation and normalisation of batches.
"""
