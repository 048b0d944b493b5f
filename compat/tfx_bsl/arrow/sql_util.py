"""Lets tensorflow-data-validation 1.16 be imported; slicing by SQL itself went away with tfx-bsl 1.21."""


class RecordBatchSQLSliceQuery:
    """Stands for the class that TFDV names; raises when it is used."""

    def __init__(self, *_: object) -> None:
        raise NotImplementedError(
            "tfx-bsl 1.21 cannot slice by SQL. Use slice_functions or slicing specs by feature instead of "
            "experimental_slice_sqls."
        )
