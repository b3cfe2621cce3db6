# The text of a script reaches it as it is (parentheses and quotes, #34779 of nixpkgs).
cat > /runAsRoot <<'END'
(runAsRoot) "double" 'single' $HOME `date` \n %s %% ; & | < > !
END
printf '%s\n' "(extraCommands)" '"$(echo)"' > /extraCommands
mkdir -m 777 /wide
