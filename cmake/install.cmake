# What `cmake --install` puts where: programs, helpers, configuration, unit, account, man pages.
#
# DOCMILL_UNITDIR and DOCMILL_SYSUSERSDIR are where systemd looks; a package sets them as its distribution has them.
set(DOCMILL_UNITDIR "${CMAKE_INSTALL_PREFIX}/lib/systemd/system" CACHE PATH "directory of systemd units")
set(DOCMILL_SYSUSERSDIR "${CMAKE_INSTALL_PREFIX}/lib/sysusers.d" CACHE PATH "directory of systemd-sysusers")
set(docmill_generated ${PROJECT_BINARY_DIR}/install)

foreach(program docmilld docmillctl docmill-sandbox docmill-html)
  if(NOT TARGET ${program})
    continue()
  elseif(program STREQUAL "docmilld")
    set(where ${CMAKE_INSTALL_SBINDIR})
  elseif(program STREQUAL "docmillctl")
    set(where ${CMAKE_INSTALL_BINDIR})
  else()
    set(where ${CMAKE_INSTALL_LIBEXECDIR}/docmill)
  endif()
  install(TARGETS ${program} RUNTIME DESTINATION ${where})
endforeach()

# The example, less the two choices that are only the operator's. Without them docmilld does not start, and names them:
# a service that runs against a database or an embedder that nobody chose is worse than one that does not.
file(READ etc/docmill.conf docmill_conf)
foreach(choice "url = " "name = \"builtin\"")
  string(FIND "${docmill_conf}" "\n    ${choice}" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "etc/docmill.conf has no line that begins with: ${choice}")
  endif()
  string(REPLACE "\n    ${choice}" "\n    # ${choice}" docmill_conf "${docmill_conf}")
endforeach()
file(CONFIGURE OUTPUT ${docmill_generated}/docmill.conf CONTENT "${docmill_conf}" @ONLY)
install(FILES ${docmill_generated}/docmill.conf DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/docmill)

configure_file(systemd/docmill.service.in ${docmill_generated}/docmill.service @ONLY)
install(FILES ${docmill_generated}/docmill.service DESTINATION ${DOCMILL_UNITDIR})
install(FILES systemd/docmill.sysusers DESTINATION ${DOCMILL_SYSUSERSDIR} RENAME docmill.conf)

install(FILES docs/man/docmilld.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES docs/man/docmillctl.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
if(TARGET docmilld)
  add_custom_command(OUTPUT ${docmill_generated}/docmill.conf.5
    COMMAND docmilld --print-man > ${docmill_generated}/docmill.conf.5
    DEPENDS docmilld VERBATIM)
  add_custom_target(docmill_man ALL DEPENDS ${docmill_generated}/docmill.conf.5)
  install(FILES ${docmill_generated}/docmill.conf.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
endif()
