// CHECK for the small test programs: prints what failed and ends the program with status 1.
#ifndef POPSPARSE_PY_TESTS_CHECK_HPP
#define POPSPARSE_PY_TESTS_CHECK_HPP

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                      \
      std::exit(1);                                                                                                    \
    }                                                                                                                  \
  } while (false)

#endif
