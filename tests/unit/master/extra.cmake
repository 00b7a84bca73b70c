# The supervisor with children that misbehave on demand; driven by tests/blackbox/test_supervise.py.
add_executable(helper_master ${CMAKE_CURRENT_LIST_DIR}/helper/helper_master.c)
target_link_libraries(helper_master PRIVATE docmill_master)
add_executable(helper_child ${CMAKE_CURRENT_LIST_DIR}/helper/helper_child.c)
target_link_libraries(helper_child PRIVATE docmill_proc)
