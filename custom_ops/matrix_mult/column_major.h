// A product of matrices that lie row by row, in the words of BLAS, for which all matrices lie column by column.
#ifndef SLIPWAY_CUSTOM_OPS_MATRIX_MULT_COLUMN_MAJOR_H_
#define SLIPWAY_CUSTOM_OPS_MATRIX_MULT_COLUMN_MAJOR_H_

#include <cstdint>

namespace slipway {

// As it lies in memory: column after column, each of `rows` elements, with nothing between them.
struct ColumnMajorMatrix {
  int64_t rows, columns;
  bool transposed;  // in the product
};

// c = first second.
struct ColumnMajorProduct {
  ColumnMajorMatrix first, second, c;
};

// Of c = a b, c [rows, columns], where a factor with `transpose` lies transposed. Read column by column all of them are
// their transposes, and c' = b' a'.
inline ColumnMajorProduct ColumnMajor(int64_t rows, int64_t columns, int64_t depth, bool transpose_a,
                                      bool transpose_b) {
  const ColumnMajorMatrix a =
      transpose_a ? ColumnMajorMatrix{rows, depth, true} : ColumnMajorMatrix{depth, rows, false};
  const ColumnMajorMatrix b =
      transpose_b ? ColumnMajorMatrix{depth, columns, true} : ColumnMajorMatrix{columns, depth, false};
  return {b, a, {columns, rows, false}};
}

}  // namespace slipway

#endif  // SLIPWAY_CUSTOM_OPS_MATRIX_MULT_COLUMN_MAJOR_H_
