// Host stand-in for <poplar/TileConstants.hpp>.
#ifndef POPSPARSE_SHIM_POPLAR_TILE_CONSTANTS_HPP
#define POPSPARSE_SHIM_POPLAR_TILE_CONSTANTS_HPP

#define CTXT_WORKERS 6 // worker threads of a tile; source: poplibs codelets, ipu2 and ipu21

#endif
