# A scripted server on raw sockets, with TLS by libssl (of the same package as libcrypto).
pkg_check_modules(libssl REQUIRED IMPORTED_TARGET libssl)
target_sources(test_http PRIVATE ${CMAKE_CURRENT_LIST_DIR}/server.c ${CMAKE_CURRENT_LIST_DIR}/server_tls.c
               ${CMAKE_CURRENT_LIST_DIR}/client.c ${CMAKE_CURRENT_LIST_DIR}/names.c)
target_link_libraries(test_http PRIVATE PkgConfig::libssl ${CMAKE_DL_LIBS})
