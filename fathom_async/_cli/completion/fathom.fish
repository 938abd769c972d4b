# Completion of fathom for fish

function __fathom_complete
    set -l current (commandline -ct)
    set -l words (commandline -opc) "$current"
    set -l begun
    set -l prefix ""
    set -lx CYCLOPTS_COMPLETION_WORDS (printf '%s\x1f' $words[2..-1] | string collect)
    for line in (fathom __complete 2>/dev/null)
        switch $line
            case \x1fbegin
                set begun 1
            case \x1ffiles
                __fish_complete_path $current
            case \x1fprefix'*'
                set prefix (string split \t -- $line)[2]
            case '*'
                test -n "$begun"; and echo -- $prefix$line
        end
    end
end

complete -c fathom -f -a '(__fathom_complete)'
