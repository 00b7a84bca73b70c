target_compile_definitions(test_text PRIVATE
  TEXT_FIXTURES="${CMAKE_CURRENT_SOURCE_DIR}/text/fixtures"
  GOLDEN_INPUTS="${PROJECT_SOURCE_DIR}/tests/golden/inputs")
