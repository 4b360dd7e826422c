# Compiler flags of every target: warnings are errors, and one sanitizer at most.
if(ARC_CCACHE)
  find_program(ARC_CCACHE_PROGRAM ccache)
  if(ARC_CCACHE_PROGRAM)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${ARC_CCACHE_PROGRAM})
  endif()
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                    -Wcast-qual -Wimplicit-fallthrough -Werror -fno-omit-frame-pointer)
# Debian's hardening defaults, which dpkg-buildflags would add.
add_compile_options(-fstack-protector-strong)

if(ARC_SANITIZE STREQUAL "address")
  # The checks left out triple the time of compiling; AddressSanitizer finds what they would.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=null,alignment,object-size,vptr
                      -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
elseif(ARC_SANITIZE STREQUAL "thread")
  # GCC warns that fences are not instrumented; none is used here, only in headers of libraries.
  add_compile_options(-fsanitize=thread -Wno-tsan)
  add_link_options(-fsanitize=thread)
elseif(ARC_SANITIZE)
  message(FATAL_ERROR "ARC_SANITIZE is '${ARC_SANITIZE}': use address, thread or nothing")
endif()
