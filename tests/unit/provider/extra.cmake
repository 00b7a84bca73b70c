# The archive maker deflates; docmill itself never does. The actor plays parsers, under their limits.
find_package(ZLIB REQUIRED)
target_sources(test_provider PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/provider/zip_make.c
                                     ${CMAKE_CURRENT_SOURCE_DIR}/provider/parser_case.c
                                     ${CMAKE_CURRENT_SOURCE_DIR}/provider/pdf_make.c)
target_link_libraries(test_provider PRIVATE ZLIB::ZLIB PkgConfig::libseccomp)
add_executable(test_provider_actor ${CMAKE_CURRENT_SOURCE_DIR}/provider/actor.c)
target_compile_options(test_provider_actor PRIVATE -Wno-unused-result)
if(DOCMILL_ASAN)
  target_compile_options(test_provider_actor PRIVATE -fno-sanitize=all)
  target_link_options(test_provider_actor PRIVATE -fno-sanitize=all)
endif()
add_dependencies(test_provider test_provider_actor docmill-sandbox docmill-html)
target_compile_definitions(test_provider PRIVATE
  TEST_ACTOR="$<TARGET_FILE:test_provider_actor>"
  TEST_LIBEXEC="${PROJECT_BINARY_DIR}/src/bin"
  TEST_FIXTURES="${CMAKE_CURRENT_SOURCE_DIR}/provider/fixtures"
  TEST_SOURCE="${PROJECT_SOURCE_DIR}"
  TEST_PAYLOADS="${PROJECT_SOURCE_DIR}/tests/fixtures")
