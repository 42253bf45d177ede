#include "packed_matrix.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "thread_pool.hpp"

namespace popsparse_py::cpu {

namespace {

void checkSchedule(const Schedule &schedule, const Kernels &kernels) {
  const std::int32_t most = kernels.maxVectors(schedule.tileRows);
  if (most == 0 || schedule.tileVectors < 1 || schedule.tileVectors > most ||
      kernels.panel(schedule.tileRows, schedule.tileVectors, 1, 1, Dtype::Float32) == nullptr) {
    throw std::invalid_argument("tier " + std::string(kernels.name) + " has no tile of " +
                                std::to_string(schedule.tileRows) + " rows and " +
                                std::to_string(schedule.tileVectors) + " vectors");
  }
  if (schedule.chunkBlocks < 0 || schedule.bandBlocks < 0 || schedule.panelColumns < 0) {
    throw std::invalid_argument("a schedule's chunk, band and panel must not be negative");
  }
}

// Blocks of the matrix to pack: its row, column and position in the pattern, in row-major order of the matrix to pack.
struct BlockPlace {
  std::int32_t row, column;
  std::int64_t position;
};

std::vector<BlockPlace> blockPlaces(const Pattern &pattern, bool transposed) {
  std::vector<BlockPlace> places(static_cast<std::size_t>(pattern.blocks()));
  std::vector<std::int64_t> next(static_cast<std::size_t>(pattern.columnsOfBlocks()) + 1, 0);
  if (transposed) {
    for (const std::int32_t column : pattern.blockColumn) {
      ++next[static_cast<std::size_t>(column) + 1];
    }
    for (std::size_t c = 1; c < next.size(); ++c) {
      next[c] += next[c - 1];
    }
  }
  for (std::size_t row = 0; row + 1 < pattern.offsets.size(); ++row) {
    for (std::int64_t q = pattern.offsets[row]; q < pattern.offsets[row + 1]; ++q) {
      const std::int32_t column = pattern.blockColumn[static_cast<std::size_t>(q)];
      if (transposed) {
        const std::int64_t to = next[static_cast<std::size_t>(column)]++;
        places[static_cast<std::size_t>(to)] = {column, static_cast<std::int32_t>(row), q};
      } else {
        places[static_cast<std::size_t>(q)] = {static_cast<std::int32_t>(row), column, q};
      }
    }
  }
  return places;
}

// One tile of a block, step by step. stride: elements from row to row; 0: rows are neighbours, steps `blockRows` apart.
template <int TileRows>
void packTile(const float *tile, std::int64_t stride, std::int64_t blockRows, std::int64_t steps, float *to) {
  if (stride == 0) {
    for (std::int64_t s = 0; s < steps; ++s) {
      std::copy_n(tile + s * blockRows, TileRows, to + s * TileRows);
    }
    return;
  }
  for (std::int64_t s = 0; s < steps; ++s) {
    for (int r = 0; r < TileRows; ++r) {
      to[s * TileRows + r] = tile[r * stride + s];
    }
  }
}

using PackTile = void (*)(const float *, std::int64_t, std::int64_t, std::int64_t, float *);

// Null where there is no function for so many rows.
PackTile packTileOf(std::int64_t tileRows) {
  switch (tileRows) {
  case 1:
    return packTile<1>;
  case 2:
    return packTile<2>;
  case 4:
    return packTile<4>;
  case 8:
    return packTile<8>;
  case 16:
    return packTile<16>;
  default:
    return nullptr;
  }
}

} // namespace

PackedMatrix::PackedMatrix(Pattern pattern, bool transposed, const Schedule &schedule, const Kernels &kernels)
    : transposed_(transposed), schedule_(schedule), kernels_(&kernels),
      rows_(transposed ? pattern.columns : pattern.rows), columns_(transposed ? pattern.rows : pattern.columns),
      bands_(1), blockRows_(transposed ? pattern.blockColumns : pattern.blockRows),
      steps_(transposed ? pattern.blockRows : pattern.blockColumns) {
  pattern.check();
  checkSchedule(schedule, kernels);
  if (schedule_.bandBlocks > 0) {
    const std::int64_t blockColumns = (columns_ + steps_ - 1) / steps_;
    bands_ = std::max<std::int64_t>(1, (blockColumns + schedule_.bandBlocks - 1) / schedule_.bandBlocks);
  }
  if (schedule_.byRows && (bands_ > 1 || schedule_.tileRows != kernels.lanes || blockRows_ % kernels.lanes != 0)) {
    throw std::invalid_argument(
        "a schedule by rows needs tiles of one vector of rows, whole blocks of them and no bands");
  }
  arrange(pattern);
  values_.reserve(static_cast<std::size_t>(std::max<std::int64_t>(1, blocks() * packedBlockFloats())));
  std::fill_n(values_.data(), blocks() * packedBlockFloats(), 0.0f);
}

void PackedMatrix::arrange(const Pattern &pattern) {
  const std::vector<BlockPlace> places = blockPlaces(pattern, transposed_);
  const auto perBand = static_cast<std::size_t>(rowsOfBlocks()) + 1;
  const auto bandOf = [this](const BlockPlace &place) {
    return static_cast<std::size_t>(schedule_.bandBlocks == 0 ? 0 : place.column / schedule_.bandBlocks);
  };
  std::vector<std::int64_t> counts(static_cast<std::size_t>(bands_) * perBand, 0);
  rowBlocks_.assign(perBand, 0);
  for (const BlockPlace &place : places) {
    ++counts[bandOf(place) * perBand + static_cast<std::size_t>(place.row)];
    ++rowBlocks_[static_cast<std::size_t>(place.row) + 1];
  }
  offsets_.resize(counts.size());
  std::int64_t before = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    offsets_[i] = before; // the last entry of a band is the first of the next one, as its count is 0
    before += counts[i];
  }
  for (std::size_t row = 1; row < perBand; ++row) {
    rowBlocks_[row] += rowBlocks_[row - 1];
  }
  firstRows_.resize(places.size());
  order_.resize(places.size());
  std::vector<std::int64_t> next = offsets_;
  for (const BlockPlace &place : places) {
    const auto to = static_cast<std::size_t>(next[bandOf(place) * perBand + static_cast<std::size_t>(place.row)]++);
    firstRows_[to] = place.column * steps_;
    order_[to] = place.position;
  }
}

// A segment: the blocks of one block row in one band.
void PackedMatrix::packBlock(const float *block, std::int64_t packed, std::int64_t segment,
                             std::int64_t segmentBlocks) {
  const std::int64_t tileRows = schedule_.tileRows, tileFloats = tileRows * steps_;
  const PackTile whole = packTileOf(tileRows);
  for (std::int64_t t = 0; t < rowTiles(); ++t) {
    float *to = values_.data() + segment * packedBlockFloats() + (t * segmentBlocks + packed - segment) * tileFloats;
    const std::int64_t first = t * tileRows, rows = std::min<std::int64_t>(tileRows, blockRows_ - first);
    if (rows == tileRows && whole != nullptr) {
      whole(block + first * (transposed_ ? 1 : steps_), transposed_ ? 0 : steps_, blockRows_, steps_, to);
      continue;
    }
    for (std::int64_t s = 0; s < steps_; ++s) {
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t row = first + r;
        to[s * tileRows + r] = transposed_ ? block[s * blockRows_ + row] : block[row * steps_ + s];
      }
    }
  }
}

// Blocks of one element are packed one after the other, whatever their segments.
void PackedMatrix::packElements(const float *values, std::int64_t first, std::int64_t last) {
  float *to = values_.data();
  if (!transposed_ && bands_ == 1) {
    std::copy(values + first, values + last, to + first);
    return;
  }
  for (std::int64_t packed = first; packed < last; ++packed) {
    to[packed] = values[order_[static_cast<std::size_t>(packed)]];
  }
}

void PackedMatrix::packSegments(const float *values, std::int64_t first, std::int64_t last) {
  const std::int64_t blockFloats = std::int64_t{blockRows_} * steps_, perBand = rowsOfBlocks() + 1;
  for (std::int64_t i = first; i < last; ++i) {
    const auto at = static_cast<std::size_t>(i / rowsOfBlocks() * perBand + i % rowsOfBlocks());
    for (std::int64_t packed = offsets_[at]; packed < offsets_[at + 1]; ++packed) {
      const float *block = values + order_[static_cast<std::size_t>(packed)] * blockFloats;
      packBlock(block, packed, offsets_[at], offsets_[at + 1] - offsets_[at]);
    }
  }
}

void PackedMatrix::setValues(const void *values, Dtype dtype, int threads) {
  FloatBuffer wide;
  const auto *floats = static_cast<const float *>(values);
  if (dtype != Dtype::Float32) {
    float *to = wide.reserve(static_cast<std::size_t>(std::max<std::int64_t>(1, elements())));
    const auto *from = static_cast<const std::uint16_t *>(values);
    parallelFor(threads, threads, [&](std::int64_t part, int) {
      const std::int64_t begin = elements() * part / threads, end = elements() * (part + 1) / threads;
      kernels_->toFloat(from + begin, dtype, end - begin, to + begin);
    });
    floats = to;
  }
  if (packedBlockFloats() == 1) {
    parallelFor(threads, threads, [&](std::int64_t part, int) {
      packElements(floats, blocks() * part / threads, blocks() * (part + 1) / threads);
    });
    return;
  }
  const std::int64_t segments = bands_ * rowsOfBlocks(), parts = std::min<std::int64_t>(segments, threads);
  parallelFor(threads, parts, [&](std::int64_t part, int) {
    packSegments(floats, segments * part / parts, segments * (part + 1) / parts);
  });
}

std::int64_t PackedMatrix::packedBytes() const {
  return blocks() * (packedBlockFloats() * 4 + 4 + 8) + static_cast<std::int64_t>(offsets_.size()) * 8;
}

std::vector<std::int64_t> PackedMatrix::shares(std::int64_t parts) const {
  std::vector<std::int64_t> bounds(static_cast<std::size_t>(parts) + 1, rowsOfBlocks());
  bounds.front() = 0;
  // A block row costs its blocks and, for the results it writes, about as much as one block more.
  const std::int64_t total = blocks() + rowsOfBlocks();
  std::int64_t row = 0;
  for (std::int64_t part = 1; part < parts; ++part) {
    while (row < rowsOfBlocks() && (rowBlocks_[static_cast<std::size_t>(row)] + row) * parts < total * part) {
      ++row;
    }
    bounds[static_cast<std::size_t>(part)] = row;
  }
  return bounds;
}

PanelJob PackedMatrix::job(std::int64_t band) const {
  PanelJob job{};
  job.offsets = offsets_.data() + band * (rowsOfBlocks() + 1);
  job.firstRows = firstRows_.data();
  job.values = values_.data();
  job.blockRows = blockRows_;
  job.steps = steps_;
  job.tailSteps = static_cast<std::int32_t>(columns_ % steps_);
  job.tailFirstRow = job.tailSteps == 0 ? -1 : static_cast<std::int32_t>(columns_ / steps_ * steps_);
  job.chunkBlocks = schedule_.chunkBlocks;
  job.rows = rows_;
  return job;
}

} // namespace popsparse_py::cpu
