# What `cmake --install` puts where: programs, helpers, configuration, unit, account, man pages,
# completion.
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

# Type=notify-reload came with systemd 253; an older one would silently run the unit as `simple`.
if(libsystemd_VERSION VERSION_GREATER_EQUAL 253)
  set(notify_reload ON)
else()
  set(notify_reload OFF)
endif()
option(DOCMILL_NOTIFY_RELOAD "the unit is for systemd 253 or newer" ${notify_reload})
# The command makes a reload that was refused or taken back a failure of `systemctl reload`, which the protocol alone
# cannot say; systemd's own signal is one that changes nothing.
set(DOCMILL_UNIT_TYPE "Type=notify\nExecReload=${CMAKE_INSTALL_FULL_BINDIR}/docmillctl reload")
if(DOCMILL_NOTIFY_RELOAD)
  string(REPLACE "Type=notify" "Type=notify-reload\nReloadSignal=SIGCONT" DOCMILL_UNIT_TYPE "${DOCMILL_UNIT_TYPE}")
endif()
configure_file(systemd/docmill.service.in ${docmill_generated}/docmill.service @ONLY)
install(FILES ${docmill_generated}/docmill.service systemd/docmill.socket DESTINATION ${DOCMILL_UNITDIR})
install(FILES etc/docmill.logrotate DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/logrotate.d RENAME docmill)
install(FILES systemd/docmill.sysusers DESTINATION ${DOCMILL_SYSUSERSDIR} RENAME docmill.conf)

# Manual pages and completion: made by the programs from their own tables.
set(docmill_papers)
function(docmill_paper FILE WHERE PROGRAM)
  if(NOT TARGET ${PROGRAM})
    return()
  endif()
  add_custom_command(OUTPUT ${docmill_generated}/${FILE}
    COMMAND ${PROGRAM} ${ARGN} > ${docmill_generated}/${FILE}
    DEPENDS ${PROGRAM} VERBATIM)
  set(docmill_papers ${docmill_papers} ${docmill_generated}/${FILE} PARENT_SCOPE)
  get_filename_component(name ${FILE} NAME)
  install(FILES ${docmill_generated}/${FILE} DESTINATION ${WHERE} RENAME ${name})
endfunction()
set(DOCMILL_BASHDIR ${CMAKE_INSTALL_DATADIR}/bash-completion/completions CACHE PATH "directory of bash completion")
set(DOCMILL_ZSHDIR ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE PATH "directory of zsh completion")
file(MAKE_DIRECTORY ${docmill_generated}/bash ${docmill_generated}/zsh)
docmill_paper(docmilld.8 ${CMAKE_INSTALL_MANDIR}/man8 docmilld --print-man=docmilld)
docmill_paper(docmill.conf.5 ${CMAKE_INSTALL_MANDIR}/man5 docmilld --print-man)
docmill_paper(docmillctl.1 ${CMAKE_INSTALL_MANDIR}/man1 docmillctl --print-man)
docmill_paper(bash/docmilld ${DOCMILL_BASHDIR} docmilld --print-completion bash)
docmill_paper(bash/docmillctl ${DOCMILL_BASHDIR} docmillctl --print-completion bash)
docmill_paper(zsh/_docmilld ${DOCMILL_ZSHDIR} docmilld --print-completion zsh)
docmill_paper(zsh/_docmillctl ${DOCMILL_ZSHDIR} docmillctl --print-completion zsh)
add_custom_target(docmill_man ALL DEPENDS ${docmill_papers})
