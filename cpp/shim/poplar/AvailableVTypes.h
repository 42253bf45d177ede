// Host stand-in for <poplar/AvailableVTypes.h>: the vector layouts that the target offers beside SPAN and ONE_PTR.
#ifndef POPSPARSE_SHIM_POPLAR_AVAILABLE_V_TYPES_H
#define POPSPARSE_SHIM_POPLAR_AVAILABLE_V_TYPES_H

#define VECTOR_AVAIL_SHORT_SPAN 1
#define VECTOR_AVAIL_SCALED_PTR32 1
#define VECTOR_AVAIL_SCALED_PTR64 1
#define VECTOR_AVAIL_SCALED_PTR128 1
#define VECTORLIST_AVAIL_DELTAN 1

#endif
