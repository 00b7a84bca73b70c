# The object stores are tested against a strict server in Python.
target_sources(test_blob PRIVATE ${CMAKE_CURRENT_LIST_DIR}/object_fixture.c)
target_compile_definitions(test_blob PRIVATE DOCMILL_OBJECT_SERVER="${PROJECT_SOURCE_DIR}/tests/support/object_server.py"
  DOCMILL_OBJECT_PROXY="${PROJECT_SOURCE_DIR}/tests/support/object_proxy.py")
