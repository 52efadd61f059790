/* Put before all C++ of llama.cpp, so that its AMX kernels run when an older GCC builds them.

In GCC 12.2, _tile_loadconfig tells the compiler of 8 of the 64 bytes that it reads (GCC bug 114098).
The compiler takes out the writes to the others, and the first multiplication ends with signal 11. */
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg\t%X0" ::"m"(*(const char(*)[64])(config)))
#endif
