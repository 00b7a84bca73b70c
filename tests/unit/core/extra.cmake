# The tests compare checked-in files with what the tables print.
target_compile_definitions(test_core PRIVATE DOCMILL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
