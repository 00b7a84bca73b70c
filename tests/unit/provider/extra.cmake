# The archive maker deflates; docmill itself never does.
find_package(ZLIB REQUIRED)
target_sources(test_provider PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/provider/zip_make.c)
target_link_libraries(test_provider PRIVATE ZLIB::ZLIB)
