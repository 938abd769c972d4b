# Completion of fathom for bash

_fathom() {
  local line begun words cur=${COMP_WORDS[COMP_CWORD]}
  words=$(printf '%s\037' "${COMP_WORDS[@]:1:COMP_CWORD}")
  [ "$cur" = "=" ] && cur=
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      $'\037begin') begun=1 ;;
      $'\037files')
        compopt -o filenames 2>/dev/null
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur") ;;
      $'\037'*) ;;
      *) [ -n "$begun" ] && COMPREPLY+=("${line%%$'\t'*}") ;;
    esac
  done < <(CYCLOPTS_COMPLETION_WORDS=$words "${COMP_WORDS[0]}" __complete 2>/dev/null)
}

complete -F _fathom fathom
