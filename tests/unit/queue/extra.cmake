# The queue's tests run against a real server, as the database's do.
target_sources(test_queue PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/db/test_support.c)
target_include_directories(test_queue PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/db ${CMAKE_CURRENT_SOURCE_DIR}/queue)
