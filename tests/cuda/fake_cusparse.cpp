// A libcusparse that multiplies float32 on the host as the documentation says, counts what is not destroyed, and
// refuses what it is told to. Prototypes as in cusparse.h; values that the header names are spelled out.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>

namespace {

struct Handle {
  void *stream;
};

struct Sparse {
  int algorithm; // the one that takes this format
  int64_t rows, columns, count, side, width;
  const int *offsets, *indices;
  const float *values;
};

struct Dense {
  int64_t rows, columns, pitch;
  float *values;
  bool byRows;
  float &at(int64_t row, int64_t column) const { return values[byRows ? row * pitch + column : column * pitch + row]; }
};

std::map<std::string, int> refused; // status by function, or by function and " by rows"
std::string calls;
int alive = 0;
constexpr int kInvalid = 3, kFloat32 = 0, kIndex32 = 2;
constexpr size_t kWorkspace = 40;

int enter(const char *name, bool byRows = false) {
  calls += std::string(name) + (byRows ? " by rows;" : ";");
  const auto found = refused.find(std::string(name) + (byRows ? " by rows" : ""));
  return found == refused.end() ? 0 : found->second;
}

int made(void **where, void *what) {
  *where = what;
  ++alive;
  return 0;
}

float element(const Sparse &w, int64_t row, int64_t column) {
  const int64_t side = w.side, block = row / side;
  float sum = 0;
  if (w.offsets == nullptr) { // Blocked-ELL: values by rows; a block of -1 counts as block 0
    for (int64_t slot = 0; slot < w.width / side; ++slot) {
      const int named = w.indices[block * (w.width / side) + slot];
      if ((named < 0 ? 0 : named) == column / side)
        sum += w.values[row * w.width + slot * side + column % side];
    }
    return sum;
  }
  for (int i = w.offsets[block]; i < w.offsets[block + 1]; ++i)
    if (w.indices[i] == column / side)
      sum += w.values[(i * side + row % side) * side + column % side];
  return sum;
}

int around(const char *name, const Handle *handle, int opA, int opB, const float *alpha, const Sparse *a,
           const Dense *b, const float *beta, const Dense *c, int compute, int algorithm) {
  const int status = enter(name, b->byRows);
  if (status)
    return status;
  const int64_t k = opB ? b->columns : b->rows, n = opB ? b->rows : b->columns;
  const bool fits = k == a->columns && n == c->columns && c->rows == a->rows && b->byRows == c->byRows;
  const bool known = handle != nullptr && opA == 0 && compute == kFloat32 && algorithm == a->algorithm;
  return fits && known && *alpha == 1 && *beta == 0 ? 0 : kInvalid;
}

} // namespace

extern "C" {

void fakeRefuse(const char *name, int status) {
  refused[name] = status;
}
void fakeForget() {
  refused.clear(), calls.clear();
}
const char *fakeCalls() {
  return calls.c_str();
}
int fakeAlive() {
  return alive;
}

const char *cusparseGetErrorName(int status) {
  return status == 10 ? "CUSPARSE_STATUS_NOT_SUPPORTED" : "CUSPARSE_STATUS_INVALID_VALUE";
}

int cusparseCreate(void **handle) {
  const int status = enter("cusparseCreate");
  return status ? status : made(handle, new Handle{nullptr});
}

int cusparseDestroy(void *handle) {
  delete static_cast<Handle *>(handle);
  --alive;
  return enter("cusparseDestroy");
}

int cusparseSetStream(void *handle, void *stream) {
  static_cast<Handle *>(handle)->stream = stream;
  return enter("cusparseSetStream");
}

int cusparseCreateCsr(void **where, int64_t rows, int64_t columns, int64_t count, void *offsets, void *indices,
                      void *values, int offsetType, int indexType, int base, int type) {
  const int status = enter("cusparseCreateCsr");
  if (status || offsetType != kIndex32 || indexType != kIndex32 || base || type != kFloat32)
    return status ? status : kInvalid;
  if (static_cast<int *>(offsets)[rows] != count)
    return kInvalid;
  return made(where, new Sparse{6, rows, columns, count, 1, 0, static_cast<int *>(offsets), static_cast<int *>(indices),
                                static_cast<float *>(values)});
}

int cusparseCreateBsr(void **where, int64_t rows, int64_t columns, int64_t count, int64_t side, int64_t width,
                      void *offsets, void *indices, void *values, int offsetType, int indexType, int base, int type,
                      int order) {
  const int status = enter("cusparseCreateBsr");
  const bool known = offsetType == kIndex32 && indexType == kIndex32 && base == 0 && type == kFloat32 && order == 2;
  if (status || !known || side != width || static_cast<int *>(offsets)[rows] != count)
    return status ? status : kInvalid;
  return made(where, new Sparse{14, rows * side, columns * side, count, side, 0, static_cast<int *>(offsets),
                                static_cast<int *>(indices), static_cast<float *>(values)});
}

int cusparseCreateBlockedEll(void **where, int64_t rows, int64_t columns, int64_t side, int64_t width, void *indices,
                             void *values, int indexType, int base, int type) {
  const int status = enter("cusparseCreateBlockedEll");
  const bool known = indexType == kIndex32 && base == 0 && type == kFloat32;
  if (status || !known || width % side || width > columns || rows % side)
    return status ? status : kInvalid;
  return made(where, new Sparse{13, rows, columns, 0, side, width, nullptr, static_cast<int *>(indices),
                                static_cast<float *>(values)});
}

int cusparseDestroySpMat(const void *matrix) {
  delete static_cast<const Sparse *>(matrix);
  --alive;
  return enter("cusparseDestroySpMat");
}

int cusparseCreateDnMat(void **where, int64_t rows, int64_t columns, int64_t pitch, void *values, int type, int order) {
  const int status = enter("cusparseCreateDnMat");
  const bool known = type == kFloat32 && (order == 1 || order == 2) && pitch >= (order == 2 ? columns : rows);
  if (status || !known)
    return status ? status : kInvalid;
  return made(where, new Dense{rows, columns, pitch, static_cast<float *>(values), order == 2});
}

int cusparseDestroyDnMat(const void *matrix) {
  delete static_cast<const Dense *>(matrix);
  --alive;
  return enter("cusparseDestroyDnMat");
}

int cusparseSpMM_bufferSize(void *handle, int opA, int opB, const void *alpha, const void *a, const void *b,
                            const void *beta, void *c, int compute, int algorithm, size_t *bytes) {
  *bytes = kWorkspace;
  return around("cusparseSpMM_bufferSize", static_cast<Handle *>(handle), opA, opB, static_cast<const float *>(alpha),
                static_cast<const Sparse *>(a), static_cast<const Dense *>(b), static_cast<const float *>(beta),
                static_cast<Dense *>(c), compute, algorithm);
}

int cusparseSpMM_preprocess(void *handle, int opA, int opB, const void *alpha, const void *a, const void *b,
                            const void *beta, void *c, int compute, int algorithm, void *workspace) {
  std::memset(workspace, 1, kWorkspace);
  return around("cusparseSpMM_preprocess", static_cast<Handle *>(handle), opA, opB, static_cast<const float *>(alpha),
                static_cast<const Sparse *>(a), static_cast<const Dense *>(b), static_cast<const float *>(beta),
                static_cast<Dense *>(c), compute, algorithm);
}

int cusparseSpMM(void *handle, int opA, int opB, const void *alpha, const void *a, const void *b, const void *beta,
                 void *c, int compute, int algorithm, void *workspace) {
  const auto &w = *static_cast<const Sparse *>(a);
  const auto &x = *static_cast<const Dense *>(b), &y = *static_cast<Dense *>(c);
  const int status = around("cusparseSpMM", static_cast<Handle *>(handle), opA, opB, static_cast<const float *>(alpha),
                            &w, &x, static_cast<const float *>(beta), &y, compute, algorithm);
  if (status || workspace == nullptr)
    return status ? status : kInvalid;
  for (int64_t row = 0; row < y.rows; ++row)
    for (int64_t column = 0; column < y.columns; ++column) {
      float sum = 0;
      for (int64_t k = 0; k < w.columns; ++k)
        sum += element(w, row, k) * (opB ? x.at(column, k) : x.at(k, column));
      y.at(row, column) = sum;
    }
  return 0;
}

} // extern "C"
