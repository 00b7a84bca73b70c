# The queue's tests run against a real server, as the database's do, and behind the same bad network.
find_package(Threads REQUIRED)
target_sources(test_queue PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/db/test_support.c ${CMAKE_CURRENT_SOURCE_DIR}/db/test_proxy.c)
target_include_directories(test_queue PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/db ${CMAKE_CURRENT_SOURCE_DIR}/queue)
target_link_libraries(test_queue PRIVATE Threads::Threads)
